import napari

from napari_sam2 import FramePrompts
from napari_sam2.samples import drifting_cells

viewer = napari.Viewer()
viewer.add_image(drifting_cells().images, name="cells")
dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
widget.set_prompts(1, 0, FramePrompts(points=((147, 172),), positive=(True,)))
widget.propagate(wait=True)
print(widget.session.summary().rows)
widget.session.export("labels.tif")
napari.run()  # go on by hand
