"""The event that lists the images of a graph before they are copied."""

from __future__ import annotations

from bundler.copy.image import Graph, GraphManifest
from bundler.images.copy_image import create_resolved_event
from bundler.oci.descriptor import Descriptor
from bundler.oci.json.table import Table
from tests.fakes import images


def graph_of(*chain: images.Image) -> Graph:
    """A graph of the manifests in ``chain``, the root first."""
    manifests = tuple(
        GraphManifest(descriptor_of(image), image.root.data, depth)
        for depth, image in enumerate(reversed(chain))
    )
    return Graph(descriptor_of(chain[0]), manifests, (), ())


def an_image(name: str) -> images.Image:
    return images.image(config={"author": name})


def descriptor_of(image: images.Image) -> Descriptor:
    return Descriptor.from_json(Table(image.root.descriptor(), "root"))


def index_of(*children: images.Image) -> images.Image:
    entries = [child.root.descriptor() for child in children]
    body = {"schemaVersion": 2, "mediaType": images.OCI["index"], "manifests": entries}
    return images.Image(images.Blob(images.OCI["index"], images.dump(body)), children=children)


def test_images_of_a_nested_index_take_its_position():
    first, second, third = (an_image(str(number)) for number in range(3))
    inner = index_of(second)
    event = create_resolved_event(
        graph_of(index_of(first, inner, third), inner, first, second, third)
    )
    expected = [image.root.digest for image in (first, second, third)]
    assert [image.digest for image in event.images] == expected
    assert event.listed == 3


def test_images_that_are_not_in_the_graph_are_left_out():
    first, second = an_image("1"), an_image("2")
    event = create_resolved_event(graph_of(index_of(first, second), second))
    assert [image.digest for image in event.images] == [second.root.digest]
    assert event.listed == 2


def test_index_that_is_listed_many_times_is_followed_once():
    """Eight indexes that list the next one 100 times would otherwise be 10**16 images."""
    image = an_image("1")
    chain = [image]
    for _ in range(8):
        chain.append(index_of(*[chain[-1]] * 100))
    event = create_resolved_event(graph_of(*reversed(chain)))
    assert len(event.images) == 100
