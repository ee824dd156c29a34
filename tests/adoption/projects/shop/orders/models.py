from django.db import models


class Order(models.Model):
    quantity = models.PositiveIntegerField()
    total = models.PositiveIntegerField(null=True)


class Attachment(models.Model):
    file = models.FileField(upload_to="attachments")


class Run(models.Model):
    label = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)
