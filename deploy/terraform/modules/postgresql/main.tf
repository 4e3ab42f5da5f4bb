terraform {
  required_providers {
    postgresql = {
      source  = "cyrilgdn/postgresql"
      version = "~> 1.26"
    }
  }
}

locals {
  # Catalog and registry are in public, each pgvector target in a schema of its own.
  schemas = toset(var.reader == null ? [] : concat(["public"], var.vector_schemas))
}

resource "postgresql_role" "writer" {
  name                = var.writer
  login               = true
  password_wo         = var.writer_password
  password_wo_version = var.password_version
}

resource "postgresql_role" "reader" {
  count               = var.reader == null ? 0 : 1
  name                = var.reader
  login               = true
  password_wo         = var.reader_password
  password_wo_version = var.password_version
}

resource "postgresql_database" "vectors" {
  name     = var.database
  owner    = postgresql_role.writer.name
  encoding = "UTF8"
  template = "template0"

  lifecycle {
    prevent_destroy = true
  }
}

resource "postgresql_database" "dagster" {
  count    = var.dagster_database == null ? 0 : 1
  name     = var.dagster_database
  owner    = postgresql_role.writer.name
  encoding = "UTF8"
  template = "template0"

  lifecycle {
    prevent_destroy = true
  }
}

resource "postgresql_extension" "vector" {
  count    = length(var.vector_schemas) == 0 ? 0 : 1
  name     = "vector"
  database = postgresql_database.vectors.name
  schema   = "public"
}

resource "postgresql_schema" "vectors" {
  for_each = toset(var.vector_schemas)
  name     = each.value
  database = postgresql_database.vectors.name
  owner    = postgresql_role.writer.name
}

resource "postgresql_grant" "reader_database" {
  count       = var.reader == null ? 0 : 1
  role        = postgresql_role.reader[0].name
  database    = postgresql_database.vectors.name
  object_type = "database"
  privileges  = ["CONNECT"]
}

resource "postgresql_grant" "reader_schema" {
  for_each    = local.schemas
  role        = postgresql_role.reader[0].name
  database    = postgresql_database.vectors.name
  schema      = each.value
  object_type = "schema"
  privileges  = ["USAGE"]

  depends_on = [postgresql_schema.vectors]
}

resource "postgresql_grant" "reader_tables" {
  for_each    = local.schemas
  role        = postgresql_role.reader[0].name
  database    = postgresql_database.vectors.name
  schema      = each.value
  object_type = "table"
  privileges  = ["SELECT"]

  depends_on = [postgresql_schema.vectors]
}

# The lake and every new line of versions make tables: without this a release would lock its readers out.
resource "postgresql_default_privileges" "reader_tables" {
  for_each    = local.schemas
  role        = postgresql_role.reader[0].name
  database    = postgresql_database.vectors.name
  schema      = each.value
  owner       = postgresql_role.writer.name
  object_type = "table"
  privileges  = ["SELECT"]

  depends_on = [postgresql_schema.vectors]
}
