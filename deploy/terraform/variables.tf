# Names and sizes that the project knows: vector-pipeline provision --tfvars > terraform.tfvars.json

variable "environment" {
  description = "Name of the environment in vector_pipeline.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,39}$", var.environment))
    error_message = "An environment is lower-case letters, digits and _, begins with a letter, and has at most 40 characters."
  }
}

variable "indexes" {
  description = "Pinecone indexes by name, one a space: vector-pipeline provision --tfvars names them."
  type = map(object({
    dimension           = number
    metric              = string
    cloud               = optional(string, "aws")
    region              = optional(string, "us-east-1")
    deletion_protection = optional(bool, true)
    tags                = map(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for one in values(var.indexes) : contains(["cosine", "dotproduct", "euclidean"], one.metric)])
    error_message = "A metric is cosine, dotproduct or euclidean."
  }

  validation {
    condition     = alltrue([for one in values(var.indexes) : one.dimension >= 1 && one.dimension <= 20000])
    error_message = "Pinecone takes 1 to 20000 dimensions."
  }

  validation {
    condition     = alltrue([for name, one in var.indexes : can(regex("^[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?$", name))])
    error_message = "An index has lower-case letters, digits and -, and at most 45 of them."
  }

  validation {
    condition     = alltrue([for one in values(var.indexes) : contains(keys(one.tags), "vp-space")])
    error_message = "An index needs the tag vp-space: without it a push refuses it. Take them from provision --tfvars."
  }
}

variable "region" {
  description = "AWS region of the bucket."
  type        = string
  default     = "us-east-1"
}

variable "bucket" {
  description = "Bucket of the lake, documents and logs; null: the lake is not on S3."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket has 3 to 63 lower-case letters, digits, dots and -."
  }
}

variable "lake_prefix" {
  description = "Where the lake's data begins."
  type        = string
  default     = "lake"

  validation {
    condition     = can(regex("^[^/].*[^/]$|^[^/]$", var.lake_prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "logs_prefix" {
  description = "Where Dagster's compute logs begin."
  type        = string
  default     = "dagster"
}

variable "documents_prefix" {
  description = "Where documents lie that the pipeline reads; null: they are somewhere else."
  type        = string
  default     = "documents"
}

variable "versioning" {
  description = "Keep what is overwritten or deleted, for noncurrent_days."
  type        = bool
  default     = true
}

variable "noncurrent_days" {
  description = "Days after which what was deleted is gone for good."
  type        = number
  default     = 7

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "At least a day."
  }
}

variable "kms_key" {
  description = "Id or ARN of the key that the bucket is encrypted with; null: AES256."
  type        = string
  default     = null
}

variable "writer_principals" {
  description = "ARNs that may take the writer's role: the tasks, pods or runners of the pipeline. Empty: a policy, and no role."
  type        = list(string)
  default     = []
}

variable "reader_principals" {
  description = "ARNs that may take the reader's role. Empty: a policy, and no role."
  type        = list(string)
  default     = []
}

variable "database" {
  description = "Database of catalog, registry and pgvector; null: nothing is in PostgreSQL."
  type        = string
  default     = null
}

variable "dagster_database" {
  description = "Database of Dagster's own storage; null: none is made."
  type        = string
  default     = null
}

variable "vector_schemas" {
  description = "Schemas of pgvector targets in the database; none: no extension is made."
  type        = list(string)
  default     = []
}

variable "writer" {
  description = "Role that the pipeline logs in as; it owns the databases."
  type        = string
  default     = "pipeline"
}

variable "reader" {
  description = "Role that may only read; null: none is made."
  type        = string
  default     = null
}

variable "writer_password" {
  description = "Of the writer. Set TF_VAR_writer_password; it is not in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "reader_password" {
  description = "Of the reader. Set TF_VAR_reader_password; it is not in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "password_version" {
  description = "Raise it to set both passwords anew."
  type        = number
  default     = 1
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
  description = "disable, require, verify-ca or verify-full."
  type        = string
  default     = "require"

  validation {
    condition     = contains(["disable", "require", "verify-ca", "verify-full"], var.postgres_sslmode)
    error_message = "One of disable, require, verify-ca, verify-full."
  }
}

variable "postgres_superuser" {
  description = "Whether the administrator is a superuser: no at RDS, Cloud SQL and Azure."
  type        = bool
  default     = false
}
