variable "database" {
  description = "Of catalog, registry and pgvector."
  type        = string
}

variable "dagster_database" {
  description = "Of Dagster's own storage; null: none."
  type        = string
  default     = null
}

variable "vector_schemas" {
  description = "Schemas of pgvector targets."
  type        = list(string)
  default     = []
}

variable "writer" {
  description = "Role that owns the databases."
  type        = string
}

variable "reader" {
  description = "Role that may only read; null: none."
  type        = string
  default     = null
}

variable "writer_password" {
  description = "Not kept in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "reader_password" {
  description = "Not kept in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "password_version" {
  description = "Raise it to set both passwords anew."
  type        = number
}
