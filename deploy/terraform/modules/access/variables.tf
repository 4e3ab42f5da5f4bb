variable "name" {
  description = "Beginning of the names of policies and roles."
  type        = string
}

variable "writer_policy" {
  description = "JSON."
  type        = string
}

variable "reader_policy" {
  description = "JSON."
  type        = string
}

variable "writer_principals" {
  description = "ARNs that may take the writer's role."
  type        = list(string)
  default     = []
}

variable "reader_principals" {
  description = "ARNs that may take the reader's role."
  type        = list(string)
  default     = []
}
