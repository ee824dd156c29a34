"""What the demo keeps in the database."""

import uuid

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
