#!/bin/sh
# Begins every process of the image: Dagster's home from its templates, secrets from files, then the command itself.
set -eu

# NAME_FILE names a file that holds NAME: how compose hands secrets over. Only of files in the folder of secrets: others have
# variables of that form too (SSL_CERT_FILE), and mean something else.
secrets="${SECRETS_DIR:-/run/secrets}"
for name in $(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)_FILE=.*/\1/p'); do
  eval "file=\${${name}_FILE}"
  case "$file" in
    "$secrets"/*)
      if [ ! -r "$file" ]; then
        echo "$name: $file cannot be read. Is the secret there, and may user $(id -u) read it?" >&2
        exit 1
      fi
      export "$name=$(cat "$file")"
      ;;
  esac
done

quoted() { # a password within an address, whatever it is made of
  python -c 'import os, sys, urllib.parse; print(urllib.parse.quote(os.environ[sys.argv[1]], safe=""))' "$1"
}

# Addresses that hold a password are put together here, so that the password is in one place.
if [ -n "${POSTGRES_PASSWORD:-}" ] && [ -n "${POSTGRES_HOST:-}" ]; then
  at="${POSTGRES_USER:-vector}:$(quoted POSTGRES_PASSWORD)@${POSTGRES_HOST}:${POSTGRES_PORT:-5432}"
  export DAGSTER_POSTGRES_URL="${DAGSTER_POSTGRES_URL:-postgresql+psycopg2://$at/dagster}"
fi
if [ -n "${REDIS_PASSWORD:-}" ] && [ -n "${REDIS_HOST:-}" ]; then
  redis="redis://:$(quoted REDIS_PASSWORD)@$REDIS_HOST:${REDIS_PORT:-6379}"
  export DAGSTER_CELERY_BROKER="${DAGSTER_CELERY_BROKER:-$redis/0}"
  export DAGSTER_CELERY_BACKEND="${DAGSTER_CELERY_BACKEND:-$redis/1}"
fi

# Where somebody else makes the home, as Dagster's chart does, there are no templates in it.
templates="${DAGSTER_TEMPLATES:-$DAGSTER_HOME/templates}"
if [ -d "$templates" ] && [ ! -e "$DAGSTER_HOME/dagster.yaml" ]; then
  cp "$templates/dagster.yaml" "$DAGSTER_HOME/dagster.yaml.$$"
  if [ -n "${DAGSTER_CELERY_BROKER:-}" ]; then
    cat "$templates/run_launcher.yaml" >> "$DAGSTER_HOME/dagster.yaml.$$"
  fi
  mv "$DAGSTER_HOME/dagster.yaml.$$" "$DAGSTER_HOME/dagster.yaml"
  cp "$templates/workspace.yaml" "$DAGSTER_HOME/workspace.yaml"
fi
exec "$@"
