from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from orders import views
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("orders", views.Orders)

handler404 = "orders.views.missing"
urlpatterns = [
    path("api/naps/", views.naps),
    path("api/runs/", views.runs),
    path("api/attachments/", views.attachments),
    path("api/", include(router.urls)),
    path("admin/", admin.site.urls),
    path("", views.home),
]
urlpatterns += i18n_patterns(path("welcome/", views.home, name="welcome"))
