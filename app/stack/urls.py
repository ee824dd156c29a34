"""The stack's own addresses: the page, the version and the API. A project may put them where it wants them:

    path("tasks/", include("stack.urls"))

Where it does not, stack/root_urls.py puts them at /stack/. /livez and /readyz are at the root in any case, before all
addresses: stack.http.middleware.Probes.
"""

from django.urls import path

from stack.http import views
from stack.http.api import api

app_name = "stack"
urlpatterns = [
    path("", views.page, name="page"),
    path("version", views.version, name="version"),
    # What lies below it is the API's, which answers unknown addresses too.
    path("api/", api.urls),
]
