"""The sum over the whole graph. An item that a receiver offers owes an ending in every exporter that
it reaches; what ends in a processor ends for all exporters behind it.

Where there are journals, deliveries begin and end in them, some more than once: then each journal must add up."""

ITEMS = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}


def signal_of(pipeline):
    return pipeline.split("/")[0]


class Graph:
    def __init__(self, config):
        self.pipelines = config.get("service", {}).get("pipelines", {})
        self.connectors = set(config.get("connectors") or {})
        self.receivers = {r for p in self.pipelines.values() for r in p["receivers"]}

    def _leaves_from(self, emitter, signal):
        return sum(self._leaves(name) for name, p in self.pipelines.items()
                   if emitter in p["receivers"] and signal_of(name) == signal)

    def _leaves(self, name):
        """Exporters that an item reaches that enters this pipeline."""
        return sum(self._leaves_from(e, signal_of(name)) if e in self.connectors else 1
                   for e in self.pipelines[name]["exporters"])

    def _ended(self, page, kind, component, signal):
        return (page.sum("sluice_items_total", kind=kind, component=component, signal=signal) +
                page.sum("sluice_held_items", kind=kind, component=component, signal=signal))

    def offered(self, page, receiver, signal):
        """Items that the receiver handed to its pipelines."""
        return self._ended(page, "receiver", receiver, signal)

    @staticmethod
    def unbalanced_journals(page):
        wrong = []
        for journal in page.values("sluice_journal_unsettled_items", "journal"):
            came, ended, left = (
                sum(page.sum(f"sluice_journal_{name}", journal=journal) for name in names)
                for names in (("appended_items_total", "recovered_items_total"), ("items_total",),
                              ("unsettled_items",)))
            if came != ended + left:
                wrong.append(f"journal {journal}: {came} came in, {ended} ended, {left} are left")
        return wrong

    def unbalanced(self, page):
        """What does not add up, as texts; empty when everything does."""
        if page.values("sluice_journal_unsettled_items", "journal"):
            return self.unbalanced_journals(page)
        wrong = []
        for signal, items in ITEMS.items():
            owed = ended = 0
            for receiver in self.receivers - self.connectors:
                offered = self.offered(page, receiver, signal)
                owed += offered * self._leaves_from(receiver, signal)
                accepted, refused, failed = (
                    page.sum(f"otelcol_receiver_{what}_{items}", receiver=receiver)
                    for what in ("accepted", "refused", "failed"))
                if not accepted <= offered <= accepted + refused + failed:
                    wrong.append(f"{receiver} {items}: offered {offered}, accepted {accepted}, "
                                 f"refused {refused}, failed {failed}")
            exporters = {e for n, p in self.pipelines.items() if signal_of(n) == signal
                         for e in p["exporters"]} - self.connectors
            ended += sum(self._ended(page, "exporter", e, signal) for e in exporters)
            processors = {}
            for name, p in self.pipelines.items():
                for processor in p.get("processors") or () if signal_of(name) == signal else ():
                    processors.setdefault(processor, set()).add(self._leaves(name))
            for processor, leaves in processors.items():
                here = self._ended(page, "processor", processor, signal)
                if here and len(leaves) > 1:
                    wrong.append(f"{processor} stands in pipelines of different width")
                ended += here * max(leaves)
            if owed != ended:
                wrong.append(f"{signal}: {owed} endings owed, {ended} ended or held")
        return wrong
