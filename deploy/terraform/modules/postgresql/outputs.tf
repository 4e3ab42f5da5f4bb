output "database" {
  description = "Its name, once it is there."
  value       = postgresql_database.vectors.name
}

output "writer" {
  description = "Its name, once it is there."
  value       = postgresql_role.writer.name
}
