from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt

from .models import Order, Run
from .tasks import fill, nap


def index(request):
    return render(request, "polls/index.html", {"orders": Order.objects.count()})


@csrf_exempt
def orders(request):
    order = Order.objects.create(quantity=int(request.POST["quantity"]))
    job = fill.delay(order.pk)
    return JsonResponse({"id": order.pk, "task": job.id}, status=201)


def order(request, pk):
    return JsonResponse({"total": get_object_or_404(Order, pk=pk).total})


@csrf_exempt
def naps(request):
    job = nap.delay(float(request.POST["seconds"]), request.POST["label"])
    return JsonResponse({"task": job.id}, status=201)


def runs(request):
    found = Run.objects.filter(label=request.GET["label"]).order_by("at")
    return JsonResponse({"at": [run.at.timestamp() for run in found]})
