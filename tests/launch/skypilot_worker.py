"""Has SkyPilot read a task and command lines that launch it, without a cloud; run by test_launch.py.

Its schema, its own classes and its own command line judge. It is imported nowhere else: it brings 460 MB.
"""

import json
import sys

import jsonschema
import yaml
from sky import Task
from sky.client.cli import command
from sky.utils import schemas


def main():
    """Read [task as YAML, command lines]; print what SkyPilot makes of the task, or why it refuses something."""
    text, lines = json.load(sys.stdin)
    description = yaml.safe_load(text)
    try:
        jsonschema.validate(description, schemas.get_task_schema())
        (resources,) = Task.from_yaml_config(description).resources
        for arguments in lines:
            group, name, *rest = arguments
            command.cli.commands[group].commands[name].make_context(name, rest)
    except Exception as error:
        print(json.dumps({"refused": f"{type(error).__name__}: {getattr(error, 'message', error)}"}))
        return
    found = {name: getattr(resources, name) for name in ("use_spot", "accelerators", "job_recovery")}
    print(json.dumps(found | {"cloud": str(resources.cloud)}))


if __name__ == "__main__":
    main()
