-- Beside `vectors`, the lake's catalogue and the registry: Dagster's own runs and events.
CREATE DATABASE dagster;
