import time

from celery import shared_task
from config.celery import app

from .models import Attachment, Order, Run


@shared_task
def fill(order):
    order = Order.objects.get(pk=order)
    order.total = 2 * order.quantity
    order.save(update_fields=["total"])


@app.task(bind=True)
def nap(self, seconds, label):
    Run.objects.create(label=label)
    time.sleep(seconds)
    Run.objects.create(label=f"{label} over")
    return self.request.id


@shared_task(acks_late=False)
def tick():
    Run.objects.create(label="tick")


@shared_task(bind=True)
def measure(self, attachment):
    with Attachment.objects.get(pk=attachment).file.open() as file:
        size = len(file.read())
    Run.objects.create(label=f"measured {size}")


class Remind(app.Task):
    name = "orders.tasks.remind"

    def run(self, label):
        Run.objects.create(label=f"reminded {label}")


app.register_task(Remind())


@shared_task(name="reports.monthly")
def monthly():
    raise ValueError("no report yet")
