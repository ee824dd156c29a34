from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("api/orders/", views.orders),
    path("api/orders/<int:pk>/", views.order),
    path("api/naps/", views.naps),
    path("api/runs/", views.runs),
]
