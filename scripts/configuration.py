"""Write the tables of docs/configuration.md from the code: ./dev python scripts/configuration.py [--check]."""

from generated import put

from fairlead._config.schema import markdown

if __name__ == "__main__":
    put("docs/configuration.md", "scripts/configuration.py", markdown())
