"""The JSON Schema of configuration files, for a validator that is not ours."""
import functools
import json

import jsonschema

from .process import command


@functools.cache
def validator():
    done = command("config", "schema")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    schema = json.loads(done.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def errors(checks, config):
    return [f"{list(e.absolute_path)}: {e.message}"[:300] for e in checks.iter_errors(config)]
