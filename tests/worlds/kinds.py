"""The type of the world an end-to-end test lives in; for annotations only."""

from demo.world import LocalWorld
from worlds.in_containers import ContainerWorld

World = LocalWorld | ContainerWorld
