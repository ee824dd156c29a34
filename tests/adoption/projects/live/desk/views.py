from django.http import JsonResponse
from django.shortcuts import aget_object_or_404, render
from django.views.decorators.csrf import csrf_exempt

from .models import Order, Run
from .tasks import fill, nap


async def index(request):
    return render(request, "desk/index.html", {"orders": await Order.objects.acount()})


@csrf_exempt
async def orders(request):
    order = await Order.objects.acreate(quantity=int(request.POST["quantity"]))
    job = await fill.aenqueue(order.pk)
    return JsonResponse({"id": order.pk, "task": job.id}, status=201)


async def order(request, pk):
    return JsonResponse({"total": (await aget_object_or_404(Order, pk=pk)).total})


@csrf_exempt
async def naps(request):
    job = await nap.aenqueue(float(request.POST["seconds"]), request.POST["label"])
    return JsonResponse({"task": job.id}, status=201)


async def runs(request):
    found = Run.objects.filter(label=request.GET["label"]).order_by("at")
    return JsonResponse({"at": [run.at.timestamp() async for run in found]})
