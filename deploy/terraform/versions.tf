terraform {
  # Write-only arguments keep passwords out of the state since 1.11.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
    pinecone = {
      source  = "pinecone-io/pinecone"
      version = "~> 5.0"
    }
    postgresql = {
      source  = "cyrilgdn/postgresql"
      version = "~> 1.26"
    }
  }
}

provider "aws" {
  region = var.region
}

# The key is PINECONE_API_KEY.
provider "pinecone" {}

# The administrator is PGUSER and PGPASSWORD. `superuser = false` suits RDS, Cloud SQL and Azure.
provider "postgresql" {
  host      = var.postgres_host
  port      = var.postgres_port
  database  = "postgres"
  sslmode   = var.postgres_sslmode
  superuser = var.postgres_superuser
}
