"""Carrying bytes between two connections, with half-closing kept. Knows no protocol."""

from __future__ import annotations

import asyncio

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_BLOCK = 65536


async def splice(near: Stream, far: Stream) -> None:
    """Carry bytes both ways until both sides have ended; one side's end is passed on as such."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_pump(near[0], far[1]))
        both.create_task(_pump(far[0], near[1]))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while block := await source.read(_BLOCK):
            sink.write(block)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        # A broken half breaks the whole: closing the sink ends the other direction's reading too.
        sink.close()
