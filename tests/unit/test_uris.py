import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadSetting
from storage.artifacts.uris import check_uri, unfinished

PIECES = st.sampled_from(
    ["a", "모델", "..", ".", "", "/", "\\", "\0", "\n", "~", "...", " ", "%2e"]
)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=12), st.lists(PIECES, max_size=6).map("/".join)))
def test_a_uri_is_refused_or_names_one_place_inside(uri):
    try:
        checked = check_uri(uri)
    except BadSetting:
        return

    path = posixpath.normpath(posixpath.join("/store", checked))
    assert path == f"/store/{uri}"
    assert uri.encode()


def test_unfinished_names_are_their_own_and_in_the_same_folder():
    names = {unfinished("a/model.ubj") for _ in range(100)}

    assert len(names) == 100
    assert all(name.startswith("a/model.ubj.") and name.endswith(".tmp") for name in names)
