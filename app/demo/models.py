"""What the demo keeps in the database."""

import uuid
from typing import ClassVar

from django.db import models


class Dataset(models.Model):
    """An uploaded CSV, kept as text: every worker reads it from the database, wherever it runs."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    rows = models.PositiveIntegerField()
    content = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Report(models.Model):
    """What `summarize` found in a data set, kept longer than the task's own result."""

    # An uploaded one's id, or the name of a shipped one, which has no row.
    dataset = models.CharField(max_length=200)
    task_id = models.CharField(max_length=64, unique=True)
    result = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["dataset", "-created_at"], name="demo_report_newest")]

    def __str__(self) -> str:
        return f"{self.dataset} by {self.task_id}"
