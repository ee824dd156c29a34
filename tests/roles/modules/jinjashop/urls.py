"""The project's addresses, at the root."""

from django.apps import apps
from django.contrib import admin
from django.urls import path

from jinjashop import views

urlpatterns = [path("", views.home), path("broken", views.broken)]
if apps.is_installed("django.contrib.admin"):
    urlpatterns.append(path("admin/", admin.site.urls))
