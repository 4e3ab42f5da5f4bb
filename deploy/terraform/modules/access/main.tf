terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

locals {
  trust = {
    writer = var.writer_principals
    reader = var.reader_principals
  }
  roles = { for name, principals in local.trust : name => principals if length(principals) > 0 }
}

resource "aws_iam_policy" "writer" {
  name        = "${var.name}-writer"
  description = "vector-pipeline: who builds"
  policy      = var.writer_policy
}

resource "aws_iam_policy" "reader" {
  name        = "${var.name}-reader"
  description = "vector-pipeline: who only reads"
  policy      = var.reader_policy
}

resource "aws_iam_role" "this" {
  for_each = local.roles
  name     = "${var.name}-${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = each.value }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each   = local.roles
  role       = aws_iam_role.this[each.key].name
  policy_arn = each.key == "writer" ? aws_iam_policy.writer.arn : aws_iam_policy.reader.arn
}
