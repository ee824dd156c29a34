from desk import views
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.index),
    path("api/orders/", views.orders),
    path("api/orders/<int:pk>/", views.order),
    path("api/naps/", views.naps),
    path("api/runs/", views.runs),
]
