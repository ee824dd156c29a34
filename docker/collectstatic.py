"""Collect static files without the project: `collectstatic.py <folder of the project's> <target>`.

The settings would need every file of the project, and each changed line would collect all files again.
"""

import sys

import django
from django.conf import settings
from django.core.management import call_command

# The installed apps that are no part of the project and bring static files; a test compares it with the settings.
APPS = ["django.contrib.staticfiles", "ninja"]

if __name__ == "__main__":
    sources, target = sys.argv[1:]
    settings.configure(INSTALLED_APPS=APPS, STATICFILES_DIRS=[sources], STATIC_ROOT=target, STATIC_URL="static/")
    django.setup()
    call_command("collectstatic", interactive=False, verbosity=1)
