terraform {
  required_providers {
    pinecone = {
      source  = "pinecone-io/pinecone"
      version = "~> 5.0"
    }
  }
}

# Classic indexes (vectors), named and tagged as a push looks for them.
resource "pinecone_index" "space" {
  for_each = var.indexes

  name                = each.key
  dimension           = each.value.dimension
  metric              = each.value.metric
  deletion_protection = each.value.deletion_protection ? "enabled" : "disabled"
  tags                = each.value.tags

  spec = {
    serverless = {
      cloud  = each.value.cloud
      region = each.value.region
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}
