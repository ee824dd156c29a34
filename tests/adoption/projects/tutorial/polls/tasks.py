import time

from celery import shared_task

from .models import Order, Run


@shared_task
def add(x, y):
    return x + y


@shared_task
def fill(order):
    order = Order.objects.get(pk=order)
    order.total = add(order.quantity, order.quantity)
    order.save()


@shared_task
def nap(seconds, label):
    Run.objects.create(label=label)
    time.sleep(seconds)
    Run.objects.create(label=label + " over")


@shared_task
def tick():
    Run.objects.create(label="tick")
