variable "indexes" {
  description = "Indexes by name."
  type = map(object({
    dimension           = number
    metric              = string
    cloud               = string
    region              = string
    deletion_protection = bool
    tags                = map(string)
  }))
}
