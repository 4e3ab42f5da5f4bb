variable "environment" {
  description = "Its name in vector_pipeline.yaml."
  type        = string
}

variable "bucket" {
  description = "Of lake, documents and logs; null: none."
  type        = string
  default     = null
}

variable "lake_prefix" {
  description = "Where the lake's data begins."
  type        = string
  default     = "lake"
}

variable "kms_key" {
  description = "Id or ARN of the key that the bucket is encrypted with; null: none."
  type        = string
  default     = null
}

variable "logs_prefix" {
  description = "Where Dagster's compute logs begin."
  type        = string
  default     = "dagster"
}

variable "documents_prefix" {
  description = "Where documents lie; null: somewhere else."
  type        = string
  default     = "documents"
}

variable "region" {
  description = "Of the bucket."
  type        = string
  default     = "us-east-1"
}

variable "database" {
  description = "Of catalog, registry and pgvector; null: none."
  type        = string
  default     = null
}

variable "vector_schemas" {
  description = "Schemas of pgvector targets."
  type        = list(string)
  default     = []
}

variable "writer" {
  description = "Role that the pipeline logs in as."
  type        = string
  default     = "pipeline"
}

variable "reader" {
  description = "Role that may only read; null: none."
  type        = string
  default     = null
}

variable "postgres_host" {
  description = "Where PostgreSQL is."
  type        = string
  default     = "localhost"
}

variable "postgres_port" {
  description = "Its port."
  type        = number
  default     = 5432
}

variable "postgres_sslmode" {
  description = "How a connection is encrypted."
  type        = string
  default     = "require"
}

variable "indexes" {
  description = "Pinecone indexes by name."
  type = map(object({
    dimension           = number
    metric              = string
    cloud               = string
    region              = string
    deletion_protection = bool
    tags                = map(string)
  }))
  default = {}
}
