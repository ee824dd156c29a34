"""Every address the web role answers."""

from django.urls import path

from stack.http import views
from stack.http.api import api

# A team that deletes the demo deletes this line with it.
api.add_router("/datasets", "demo.api.router")

urlpatterns = [
    path("", views.page),
    # /livez and /readyz: stack.http.middleware.Probes
    path("version", views.version, name="version"),
    # What lies below it is the API's, which answers unknown addresses too: your own below api/ go above this line.
    path("api/", api.urls),
]
