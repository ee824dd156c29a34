"""A project's asgi.py: Django for requests, and a websocket that answers."""

from typing import Any

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()
started: list[str] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            started.append(message["type"])
            print(message["type"], flush=True)
            await send({"type": "lifespan.startup.complete"})
        print("lifespan.shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await django_application(scope, receive, send)


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{scope['client'][0]} {scope['scheme']} {message['text']}"})
        else:
            return
