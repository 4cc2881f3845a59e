"""Which device families are listened to: the one list of decoders, most specific topics first."""

from __future__ import annotations

from agent.settings import Settings
from devices.decoder import Decoder
from devices.decoders import Router
from devices.esphome import EsphomeDecoder
from devices.homie import HomieDecoder
from devices.recording import RecordingDecoder
from devices.shelly import Shelly1Decoder, Shelly2Decoder
from devices.statestream import StatestreamDecoder
from devices.tasmota import TasmotaDecoder
from devices.zigbee2mqtt import Zigbee2MqttDecoder


def build_router(settings: Settings) -> Router:
    """Return the decoders that the settings ask for."""
    mqtt = settings.mqtt
    decoders: list[Decoder] = []
    if settings.clock == "events":  # otherwise the past could be written by anybody on the broker
        decoders.append(RecordingDecoder(f"{mqtt.prefix}/replay"))
    if mqtt.statestream:
        decoders.append(StatestreamDecoder(mqtt.statestream))
    if mqtt.zigbee2mqtt:
        decoders.append(Zigbee2MqttDecoder(mqtt.zigbee2mqtt))
    if mqtt.homie:
        decoders.append(HomieDecoder(mqtt.homie))
    if mqtt.tasmota:
        decoders.append(TasmotaDecoder())
    if mqtt.shelly:
        decoders += [Shelly1Decoder(), Shelly2Decoder(mqtt.shelly_prefixes)]
    if mqtt.esphome:  # named only: its topics could be anybody's
        decoders.append(EsphomeDecoder(mqtt.esphome))
    return Router(decoders)
