output "writer_policy" {
  description = "S3's policy of who builds, as JSON; null without a bucket."
  value       = var.bucket == null ? null : jsonencode(local.writer_policy)
}

output "reader_policy" {
  description = "S3's policy of who only reads, as JSON; null without a bucket."
  value       = var.bucket == null ? null : jsonencode(local.reader_policy)
}

output "variables" {
  description = "Of the pipeline's shell, without its password."
  value       = merge(local.variables, var.database == null ? {} : { VECTORS_USER = var.writer })
}

output "reader_variables" {
  description = "Of a reader's shell, without its password."
  value       = merge(local.variables, var.database == null || var.reader == null ? {} : { VECTORS_USER = var.reader })
}

output "configuration" {
  description = "A section `environments:` for vector_pipeline.yaml."
  value       = yamlencode({ environments = { (var.environment) = local.environment_section } })
}
