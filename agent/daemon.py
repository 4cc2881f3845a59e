"""The daemon: one supervisor, one event loop, everything that runs for years."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from paho.mqtt.client import MQTTMessage

from agent.assembly import build_pipeline
from agent.bad_payloads import BadPayloads
from agent.clock import Clock, EventClock
from agent.commander import Commander
from agent.delivery import Delivery
from agent.engine import Engine
from agent.errors import InklingError, StoreError
from agent.families import build_router
from agent.importers import load_into
from agent.intake import Intake, Redelivered, inflight
from agent.jobs import Jobs
from agent.mqtt import MqttBridge
from agent.own_entities import OwnEntities
from agent.place import find_place, kept, said_by
from agent.requests import Mined, request_from_dict
from agent.routine_keeper import RoutineKeeper
from agent.settings import Settings
from agent.store import Store
from agent.suggestions import Command, Output, RoutineNews, Status
from agent.ticker import EPOCH, Ticker
from devices.decoder import Publish
from devices.discovery import DiscoveryIndex
from devices.provenance import Provenance

if TYPE_CHECKING:
    from agent.ha import HomeAssistant
    from agent.ha_listener import HomeInfo

log = structlog.get_logger()

OUTAGE: Final = timedelta(minutes=5)
"""A longer silence of the clock means that we weren't running: nothing is concluded from it."""
_INBOX_S: Final = 0.5
_REPORT_S: Final = 60.0
_ANNOUNCE_JITTER_S: Final = 2.0  # after Home Assistant's start everybody announces at once


class Daemon:
    """Owns every connection and task; see `agent/pipeline.py` for what is done with what they bring."""

    def __init__(self, settings: Settings, store: Store, *, rng: random.Random | None = None) -> None:
        self.settings = settings
        self.store = store
        self.rng = rng or random.Random()
        self.clock: Clock | EventClock = EventClock() if settings.clock == "events" else Clock()
        tick = timedelta(seconds=settings.tick_s)
        ticker = Ticker(tick, max(OUTAGE, 2 * tick) if settings.clock == "wall" else None)
        self.engine = Engine(store, build_pipeline(settings), ticker, self._on_outputs)
        ha = settings.home_assistant
        self.provenance = Provenance(non_persons=ha.non_person_users, dedicated_user=ha.dedicated_user)
        router = build_router(settings)
        index = DiscoveryIndex(router.addresses(), settings.mqtt.discovery_prefix)
        home = self.engine.pipeline.home
        self.intake = Intake(
            home,
            router=router,
            index=index,
            provenance=self.provenance,
            clock=self.clock,
            own=OwnEntities(settings.mqtt.prefix, settings.mqtt.discovery_prefix),
        )
        self.delivery = Delivery(
            self.engine.pipeline,
            self._publish,
            prefix=settings.mqtt.prefix,
            discovery=settings.mqtt.discovery_prefix,
        )
        self.bridge = MqttBridge(
            settings.mqtt,
            subscriptions=[*router.subscriptions(), *index.subscriptions, *self.delivery.subscriptions],
            handle=self._on_messages,
            commit=self._commit_messages,
            on_connected=self._on_broker,
            on_connecting=self._on_reconnecting,
            will=self.delivery.will,
            rng=self.rng,
        )
        self.gateway = self._gateway() if settings.home_assistant.configured else None
        self.commander = Commander(
            home,
            gateway=self.gateway,
            router=router,
            index=index,
            provenance=self.provenance,
            publish=self._publish,
            clock=self.clock,
        )
        self.routine_keeper = RoutineKeeper(
            settings, self.engine, self.gateway, now=self._now, settle=self._settle_soon, spawn=self._spawn
        )
        self.bad_payloads = BadPayloads(router, index, self.engine.keep)
        self._redelivered = Redelivered(store)
        self._to_acknowledge: list[tuple[int, bytes]] = []
        self._settling = False
        self._release: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()

    def _gateway(self) -> HomeAssistant:
        from agent.ears import HomeAssistantEar  # noqa: PLC0415
        from agent.ha import HomeAssistant  # noqa: PLC0415 - 30 MB that a home without it need not carry

        s = self.settings.home_assistant
        ear = HomeAssistantEar(
            self.engine,
            self.intake,
            now=self._now,
            settle=self._settle_soon,
            on_home=self._on_home_info,
            on_registry=self._on_registry,
        )
        return HomeAssistant(
            s.address(),
            s.read_token,
            listener=ear,
            provenance=self.provenance,
            now=self._now,
            verify_tls=s.verify_tls,
            ca_file=s.ca_file,
            rng=self.rng,
        )

    # -- life -------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; leave a snapshot behind."""
        await self._locate()
        self._restore()
        await self._bootstrap()
        jobs = self._jobs()
        jobs.start()
        services = [asyncio.create_task(self.bridge.run())]
        if self.gateway is not None:
            services.append(asyncio.create_task(self.gateway.run()))
        stopping = asyncio.create_task(stop.wait())
        self.ready.set()
        try:
            done, _ = await asyncio.wait([stopping, *services], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a service ends only by an error that is a bug: let it be seen
        finally:
            await jobs.stop()
            self._say_goodbye()
            for task in (stopping, *services, *self._tasks):
                task.cancel()
            await asyncio.gather(stopping, *services, *self._tasks, return_exceptions=True)
            self._save()
            log.info("stopped")

    async def _locate(self) -> None:
        """Find out where the home is before anything is learned: habits are learned in local time."""
        place = await find_place(self.settings, self.store)
        self.engine.locate(place.calendar)
        log.info(place.in_words())

    async def _bootstrap(self) -> None:
        """Learn from Home Assistant's history on the very first start."""
        if self.gateway is None or self.store.last_seq:
            return
        from agent.history import read_history  # noqa: PLC0415

        def show(done: int, total: int) -> None:
            log.info("reading Home Assistant's history", done=done, of=total)

        try:
            changes = await read_history(self.settings.home_assistant, self._now(), on_progress=show)
        except InklingError as err:
            log.warning("starting without Home Assistant's history", why=str(err))
            return
        load_into(self.store, changes)
        self.engine.relearn()
        self._save()
        log.info("learned from Home Assistant's history", changes=len(changes))

    def _restore(self) -> None:
        replayed = self.engine.restore()
        now = self._now()
        told = [s.suggestion.id for s in self.store.suggestions([Status.OPEN]) if s.delivered_at]
        self.delivery.restore(told)  # a snoozed one is to be told again
        log.info(
            "ready",
            entities=len(self.engine.pipeline.home),
            replayed=replayed,
            open=len(self.engine.pipeline.alive),
        )
        if isinstance(self.clock, EventClock):
            for at in (self.engine.ticker.last, self.engine.pipeline.home.heard_at):
                self.clock.advance(at or now)
        elif self.engine.ticker.last is not None and self.engine.ticker.last > now + OUTAGE:
            log.warning(
                "the newest event lies in the future; is the clock right?", newest=self.engine.ticker.last
            )

    def _jobs(self) -> Jobs:
        jobs, wall = Jobs(self.settings.zone), self.settings.clock == "wall"
        if wall:
            jobs.every(self.settings.tick_s, self._tick, EPOCH)  # just when a tick is due, not a tick later
        jobs.every(_INBOX_S, self._read_inbox)
        jobs.every(max(_REPORT_S, self.settings.tick_s), self.bad_payloads.report)
        jobs.every(_REPORT_S, self.routine_keeper.catch_up)
        jobs.every(self.settings.snapshot_minutes * 60, self._save)
        jobs.every(86_400, self._purge)
        if self.settings.routines.enabled and wall:
            zone = self.engine.pipeline.calendar.zone
            jobs.nightly(self.settings.routines.mine_at, zone, self.routine_keeper.mine)
        return jobs

    # -- what comes in ----------------------------------------------------------------------------

    def _on_messages(self, batch: Sequence[MQTTMessage]) -> None:
        now, late = self._now(), self.bridge.catching_up
        for message in batch:
            topic, payload = message.topic, bytes(message.payload)
            if self._redelivered.is_known(message):
                continue
            if self.delivery.handles(topic):
                self._on_own_topic(topic, payload, now, retained=message.retain)
                continue
            received_at = self.clock.receipt()
            for change in self.intake.message(
                topic, payload, received_at, retained=message.retain, late=late
            ):
                self.engine.take(change)
        self._to_acknowledge += inflight(batch)
        self._plan_release()

    def _commit_messages(self) -> None:
        packets, self._to_acknowledge = self._to_acknowledge, []  # the engine keeps them if it can't write
        self.engine.commit(inflight=packets)
        if self.engine.snapshot_due:
            self._save()

    def _on_own_topic(self, topic: str, payload: bytes, now: datetime, *, retained: bool) -> None:
        if self.delivery.is_home_assistant_birth(topic, payload):
            asyncio.get_running_loop().call_later(self.rng.uniform(0.1, _ANNOUNCE_JITTER_S), self._announce)
            return
        if retained:
            return  # an old answer that somebody retained must not be carried out again and again
        try:
            event = self.delivery.answer(topic, payload, now)
        except ValueError as err:
            self.bad_payloads.not_understood(topic, payload, str(err))
            return
        if event is not None:
            self.engine.take(event)
            self.delivery.switches(self.engine.pipeline.policy)

    def _on_home_info(self, info: HomeInfo) -> None:
        """Home Assistant knows where the home is; keep it for a start without Home Assistant."""
        said = {"time_zone": info.time_zone, "latitude": info.latitude, "longitude": info.longitude}
        self.engine.keep(kept(said))
        place = said_by(said)
        if place is not None and self.settings.home.time_zone is None:  # else the resident said it
            self.engine.locate(place.calendar)

    def _on_registry(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.routine_keeper.on_registry(rows)

    def _settle_soon(self) -> None:
        """Commit what has been taken, once for all that comes in this turn of the loop."""
        if not self._settling:
            self._settling = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._settling = False
        self._plan_release()
        self._guarded_commit()

    def _plan_release(self) -> None:
        """Changes that wait for a better origin come out in time."""
        due = self.intake.fusion.next_release()
        if due is None or self._release is not None:
            return
        # at most: the clock may have been set back since
        delay = min(max(0.0, (due - self._now()).total_seconds()), self.intake.fusion.hold.total_seconds())
        self._release = asyncio.get_running_loop().call_later(delay, self._release_held)

    def _release_held(self) -> None:
        self._release = None
        for change in self.intake.fusion.release(self._now()):
            self.engine.take(change)
        self._plan_release()
        self._guarded_commit()

    def _tick(self) -> None:
        now = self._now()
        self.engine.advance(now)
        self.engine.commit()
        self._deliver_due()

    def _read_inbox(self) -> None:
        taken = set(self.engine.unwritten_requests)
        items = [item for item in self.store.inbox_take() if item.id not in taken]
        if not items and not taken:
            return
        for item in items:
            try:
                event = request_from_dict({**item.body, "kind": item.kind, "at": self._now().isoformat()})
            except (ValueError, KeyError, TypeError) as err:
                log.warning("request not understood", id=item.id, kind=item.kind, why=str(err))
                continue
            if isinstance(event, Mined):
                self._spawn(self.routine_keeper.offer(event))
            else:
                self.engine.take(event)
        self.engine.commit(inbox=[item.id for item in items])
        self.delivery.switches(self.engine.pipeline.policy)

    # -- what goes out ----------------------------------------------------------------------------

    def _on_outputs(self, outputs: Sequence[Output], at: datetime) -> None:
        if said := self.delivery.outputs(outputs, at):
            self.engine.delivered(said, at)
            self._settle_soon()  # so that a crash doesn't say it again
        for output in outputs:
            if isinstance(output, Command):
                self._spawn(self._carry_out(output))
            elif isinstance(output, RoutineNews):
                self.routine_keeper.follow(output)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, command: Command) -> None:
        trace = log.bind(entity=command.entity_id, state=command.state, suggestion=command.suggestion_id)
        try:
            path = await self.commander.carry_out(command)
        except InklingError as err:
            trace.error("could not command", why=str(err))
            self.delivery.failed(command, str(err), self._now())
        else:
            trace.info("commanded", by=path, undo=command.undo)

    def _publish(self, message: Publish) -> bool:
        return self.bridge.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    def _on_reconnecting(self) -> None:
        """What was committed but not acknowledged comes again."""
        self._to_acknowledge = []
        self._redelivered = Redelivered(self.store, self.engine.unwritten_packets)

    async def _on_broker(self) -> None:
        self._announce()

    def _announce(self) -> None:
        recent = self.store.suggestions(limit=100)
        self.delivery.announce(
            s.suggestion.id for s in recent if s.status not in {Status.OPEN, Status.SNOOZED}
        )
        self._deliver_due()

    def _deliver_due(self) -> None:
        if said := self.delivery.due(self._now()):
            self.engine.delivered(said, self._now())
            self._guarded_commit()

    def _say_goodbye(self) -> None:
        topic, payload = self.delivery.will
        self.bridge.publish(topic, payload, retain=True)

    # -- housekeeping -----------------------------------------------------------------------------

    def _guarded_commit(self) -> None:
        with contextlib.suppress(StoreError):  # kept, and written with the next batch
            self.engine.commit()

    def _save(self) -> None:
        self.bad_payloads.report()
        with contextlib.suppress(StoreError):
            self.engine.commit()  # settings and the like, too, which are no reason for a snapshot
            self.engine.snapshot(self._now())

    def _purge(self) -> None:
        before = self._now() - timedelta(days=self.settings.store.retention_days)
        if deleted := self.store.purge(before):
            log.info(
                "deleted what is older than the retention",
                rows=deleted,
                days=self.settings.store.retention_days,
            )

    def _now(self) -> datetime:
        return self.clock.now()
