"""The demo's addresses: Django's admin, and the stack's page and API at the root."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    # A project that does not have this line finds the page and the API at /stack/.
    path("", include("stack.urls")),
]
