"""Networks: `forward(lightness, rois=None, hints=None) -> ab`, L* 0..100 in, a*b* out."""
