"""The shop's own tests, which run its tasks in the caller, as they did before."""

from django.test import TestCase

from .models import Order, Run
from .tasks import fill, nap


class TaskTests(TestCase):
    def test_an_order_is_filled(self):
        order = Order.objects.create(quantity=4)
        fill.delay(order.pk)
        order.refresh_from_db()
        self.assertEqual(order.total, 8)

    def test_a_nap_is_noted(self):
        self.assertTrue(nap.delay(0, "short").get())
        self.assertEqual(Run.objects.count(), 2)
