"""Drops health checks, in Python: what a guest of another language has to be able to do with the contract.

One column, in the layout that is cheapest for languages that decode strings slowly: a code per row into distinct words.
"""

from wit_world import exports
from wit_world.imports import types

HEALTH = {b"/health", b"/healthz", b"/health/live", b"/health/ready", b"/ready", b"/livez", b"/metrics"}


class Processor(exports.Processor):
    def configure(self, settings):
        route = types.Want(path='attributes["http.route"]', layout=types.Layout.WORDS)
        return types.Plan(
            columns=[route],
            reads=[],
            writes=[],
            may_drop=True,
            when=[],
            affinity=types.Affinity.ANY,
            on_error=types.Failure.PASS,
            options=[],
        )

    def process(self, rows, columns):
        column = columns[0].cells.value
        offsets, data = column.words.offsets, column.words.data
        unwanted = [data[start:end] in HEALTH for start, end in zip(offsets, offsets[1:])]
        marks = bytes(unwanted[code] for code in column.codes)
        if 1 not in marks:
            return []
        return [types.Edit_Drop(types.DropRows(at=types.Rows_Marked(marks), reason="health check"))]
