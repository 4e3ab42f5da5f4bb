output "writer_policy_arn" {
  description = "Of who builds."
  value       = aws_iam_policy.writer.arn
}

output "reader_policy_arn" {
  description = "Of who only reads."
  value       = aws_iam_policy.reader.arn
}

output "writer_role_arn" {
  description = "Null without principals."
  value       = try(aws_iam_role.this["writer"].arn, null)
}

output "reader_role_arn" {
  description = "Null without principals."
  value       = try(aws_iam_role.this["reader"].arn, null)
}
