module "pinecone" {
  source  = "./modules/pinecone"
  indexes = var.indexes
}

module "storage" {
  source          = "./modules/storage"
  count           = var.bucket == null ? 0 : 1
  bucket          = var.bucket
  lake_prefix     = var.lake_prefix
  versioning      = var.versioning
  noncurrent_days = var.noncurrent_days
  kms_key         = var.kms_key
}

module "postgresql" {
  source           = "./modules/postgresql"
  count            = var.database == null ? 0 : 1
  database         = var.database
  dagster_database = var.dagster_database
  vector_schemas   = var.vector_schemas
  writer           = var.writer
  reader           = var.reader
  writer_password  = var.writer_password
  reader_password  = var.reader_password
  password_version = var.password_version
}

module "configuration" {
  source           = "./modules/configuration"
  environment      = var.environment
  bucket           = var.bucket
  lake_prefix      = var.lake_prefix
  kms_key          = var.kms_key
  logs_prefix      = var.logs_prefix
  documents_prefix = var.documents_prefix
  region           = var.region
  database         = var.database
  vector_schemas   = var.vector_schemas
  writer           = var.writer
  reader           = var.reader
  postgres_host    = var.postgres_host
  postgres_port    = var.postgres_port
  postgres_sslmode = var.postgres_sslmode
  indexes          = var.indexes
}

module "access" {
  source            = "./modules/access"
  count             = var.bucket == null ? 0 : 1
  name              = "${var.bucket}-${replace(var.environment, "_", "-")}"
  writer_policy     = module.configuration.writer_policy
  reader_policy     = module.configuration.reader_policy
  writer_principals = var.writer_principals
  reader_principals = var.reader_principals
}
