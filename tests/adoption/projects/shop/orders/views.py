from django.db import transaction
from django.http import HttpResponseNotFound, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers, viewsets

from .models import Attachment, Order, Run
from .tasks import app, fill, measure, nap


class OrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ("id", "quantity", "total")


class Orders(viewsets.ModelViewSet):
    queryset = Order.objects.all()
    serializer_class = OrderSerializer

    def perform_create(self, serializer):
        with transaction.atomic():
            order = serializer.save()
            fill.delay_on_commit(order.pk)


def home(request):
    return render(request, "orders/home.html", {"orders": Order.objects.count()})


def missing(request, exception):
    return HttpResponseNotFound("The shop has no such page.")


@csrf_exempt
def naps(request):
    job = nap.apply_async((float(request.POST["seconds"]), request.POST["label"]), task_id=request.POST.get("id"))
    app.send_task("orders.tasks.remind", (request.POST["label"],))
    return JsonResponse({"task": job.id}, status=201)


@csrf_exempt
def attachments(request):
    attachment = Attachment.objects.create(file=request.FILES["file"])
    measure.delay(attachment.pk)
    return JsonResponse({"name": attachment.file.name}, status=201)


def runs(request):
    found = Run.objects.filter(label=request.GET["label"]).order_by("at")
    return JsonResponse({"at": [run.at.timestamp() for run in found]})
