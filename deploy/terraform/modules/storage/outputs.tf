output "arn" {
  description = "Of the bucket."
  value       = aws_s3_bucket.lake.arn
}
