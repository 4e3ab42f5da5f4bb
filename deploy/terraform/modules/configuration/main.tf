# Needs no provider: what the other modules make, as the project's configuration and as S3's policies.

locals {
  bucket = var.bucket == null ? null : "arn:aws:s3:::${var.bucket}"
  list   = { Sid = "List", Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket }

  read_documents = var.documents_prefix == null ? [] : [{
    Sid      = "ReadDocuments"
    Effect   = "Allow"
    Action   = "s3:GetObject"
    Resource = "${coalesce(local.bucket, "-")}/${var.documents_prefix}/*"
  }]

  # Who reads what a key of KMS encrypts needs the key too; who writes, also new keys of it.
  key     = var.kms_key == null ? null : startswith(coalesce(var.kms_key, "-"), "arn:") ? var.kms_key : "arn:aws:kms:*:*:key/${coalesce(var.kms_key, "-")}"
  decrypt = var.kms_key == null ? [] : [{ Sid = "UseKey", Effect = "Allow", Action = "kms:Decrypt", Resource = local.key }]
  encrypt = var.kms_key == null ? [] : [{
    Sid      = "UseKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = local.key
  }]

  writer_policy = {
    Version = "2012-10-17"
    Statement = concat([local.list], local.read_documents, [{
      Sid      = "WriteLakeAndLogs"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      Resource = [for prefix in [var.lake_prefix, var.logs_prefix] : "${coalesce(local.bucket, "-")}/${prefix}/*"]
    }], local.encrypt)
  }

  reader_policy = {
    Version = "2012-10-17"
    Statement = concat([local.list, {
      Sid      = "ReadLake"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "${coalesce(local.bucket, "-")}/${var.lake_prefix}/*"
    }], local.decrypt)
  }

  # The configuration names these; the password is VECTORS_PASSWORD, which nothing here knows.
  database_variables = var.database == null ? {} : {
    VECTORS_HOST     = "${var.postgres_host}:${var.postgres_port}"
    VECTORS_DATABASE = var.database
  }
  writer_url = "postgresql://$${env:VECTORS_USER}:$${env:VECTORS_PASSWORD}@$${env:VECTORS_HOST}/$${env:VECTORS_DATABASE}?sslmode=${var.postgres_sslmode}"

  variables = merge(
    { VECTOR_PIPELINE_ENV = var.environment },
    local.database_variables,
    var.bucket == null ? {} : { AWS_REGION = var.region, DAGSTER_LOGS_BUCKET = var.bucket },
  )

  # A name of an index is `<index>-` and eight characters.
  prefixes = distinct([for name in keys(var.indexes) : replace(name, "/-[0-9a-f]{8}$/", "")])

  environment_section = merge(
    var.database == null ? {} : { registry = local.writer_url },
    var.bucket == null && var.database == null ? {} : {
      lake = merge(
        var.database == null ? {} : { catalog = local.writer_url },
        var.bucket == null ? {} : { data = "s3://${var.bucket}/${var.lake_prefix}" },
      )
    },
    {
      targets = merge(
        {
          for prefix in local.prefixes : replace(prefix, "-", "_") => {
            kind                = "pinecone"
            index               = prefix
            cloud               = [for name, one in var.indexes : one.cloud if startswith(name, "${prefix}-")][0]
            region              = [for name, one in var.indexes : one.region if startswith(name, "${prefix}-")][0]
            deletion_protection = [for name, one in var.indexes : one.deletion_protection if startswith(name, "${prefix}-")][0]
          }
        },
        { for schema in var.vector_schemas : schema => { kind = "pgvector", url = local.writer_url, db_schema = schema } },
      )
    },
    var.reader == null ? {} : { provision = { reader = var.reader } },
  )
}
