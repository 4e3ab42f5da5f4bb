variable "bucket" {
  description = "Its name."
  type        = string
}

variable "lake_prefix" {
  description = "Where the lake's data begins."
  type        = string
}

variable "versioning" {
  description = "Keep what is overwritten or deleted."
  type        = bool
}

variable "noncurrent_days" {
  description = "For that long."
  type        = number
}

variable "kms_key" {
  description = "Key that it is encrypted with; null: AES256."
  type        = string
  default     = null
}
