output "variables" {
  description = "What the shell of the pipeline sets, beside the passwords: names that `configuration` refers to."
  value       = module.configuration.variables
}

output "reader_variables" {
  description = "What the shell of an application or a person sets, who only reads."
  value       = module.configuration.reader_variables
}

output "configuration" {
  description = "The environment's section for vector_pipeline.yaml."
  value       = module.configuration.configuration
}

output "index_hosts" {
  description = "Addresses of the Pinecone indexes, by name."
  value       = module.pinecone.hosts
}

output "bucket_arn" {
  description = "The bucket."
  value       = one(module.storage[*].arn)
}

output "writer_policy_arn" {
  description = "Policy of who builds."
  value       = one(module.access[*].writer_policy_arn)
}

output "reader_policy_arn" {
  description = "Policy of who only reads."
  value       = one(module.access[*].reader_policy_arn)
}

output "writer_role_arn" {
  description = "Role of who builds; null without writer_principals."
  value       = one(module.access[*].writer_role_arn)
}

output "reader_role_arn" {
  description = "Role of who only reads; null without reader_principals."
  value       = one(module.access[*].reader_role_arn)
}
