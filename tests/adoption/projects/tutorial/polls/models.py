from django.db import models


class Order(models.Model):
    quantity = models.IntegerField()
    total = models.IntegerField(null=True)


class Run(models.Model):
    label = models.CharField(max_length=100)
    at = models.DateTimeField(auto_now_add=True)
