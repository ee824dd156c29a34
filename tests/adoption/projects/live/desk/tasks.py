import time

from django.tasks import task

from .models import Order, Run


@task
def fill(order):
    found = Order.objects.get(pk=order)
    found.total = 2 * found.quantity
    found.save()


@task
def nap(seconds, label):
    Run.objects.create(label=label)
    time.sleep(seconds)
    Run.objects.create(label=f"{label} over")
