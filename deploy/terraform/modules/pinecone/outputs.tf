output "hosts" {
  description = "Addresses by name."
  value       = { for name, index in pinecone_index.space : name => index.host }
}
