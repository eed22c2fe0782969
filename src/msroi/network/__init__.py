"""VGG16-GAP, its training and its saliency maps."""
